// Package complexity says whether a request needs the strong model of a pair,
// or whether the weak one will do.
//
// It owns what is seen of a prompt (hashed features, never its text; and buckets of
// its embedding, where somebody made one), the model
// that is trained on them, its file, what is promised by it (calibration and a
// floor of quality), the guard that notices when the traffic is another one
// than that of the training, the log of outcomes to train from, and the
// protocol by which all of it is measured. It never calls a model, never keeps
// a prompt, and ships no trained model: one that was trained elsewhere is worth
// no more than chance (docs/guides/complexity.md has the figures).
//
// Start reading at [Decide]; then [Extractor], which sees, [Train], which
// learns, [Guard], which doubts, and [Measure], which tells how good it is.
package complexity
