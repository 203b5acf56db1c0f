package ledger

// RaceDetector tells whether it is on: SQLite is twenty times slower with it.
const RaceDetector = raceDetector
