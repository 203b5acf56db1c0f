package ledger

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// gatewayID makes an id as the gateway does.
func gatewayID(at time.Time) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], uint64(at.UnixMilli())<<16)
	_, _ = rand.Read(raw[6:])
	return "req_" + base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding).EncodeToString(raw[:])
}

func processTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDrain is what the process spends, in user and kernel, to take one
// exchange from the journal into SQLite: read, decode, sum up, store, commit. The
// slow ones take up to 30 s, 500 begin in a second and the drain comes once in it.
// The bar: 8 us at any number of keys.
func BenchmarkDrain(b *testing.B) {
	for _, c := range []struct {
		name        string
		keys, batch int
		rate        int // that begin in a second
		slow        time.Duration
	}{
		{"keys=1", 1, 4096, 1000, 0},
		{"keys=300", 300, 4096, 1000, 0},
		{"slow", 1, 500, 500, 30 * time.Second},
	} {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			s, err := OpenSQLite(b.Context(), filepath.Join(dir, "ledger.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			j, err := OpenJournal(JournalOptions{Dir: filepath.Join(dir, "journal"), Store: s})
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			ex := typical("")
			now := ex.Start
			var spent time.Duration
			n, flushed := 0, 0
			for b.Loop() {
				now = now.Add(time.Second / time.Duration(c.rate))
				ex.Start = now.Add(-time.Duration(n*7919%1000) * c.slow / 1000)
				ex.ID, ex.Key, ex.Name = gatewayID(ex.Start), fmt.Sprint("k", n%c.keys), fmt.Sprint("name", n%c.keys)
				if err := j.Settle(ex); err != nil {
					b.Fatal(err)
				}
				if n++; n%c.batch == 0 {
					before := processTime(b)
					if err := j.Flush(b.Context()); err != nil {
						b.Fatal(err)
					}
					spent += processTime(b) - before
					flushed = n
				}
			}
			b.ReportMetric(float64(spent.Nanoseconds())/1000/float64(max(flushed, 1)), "cpu-us/exchange")
			if st, err := os.Stat(filepath.Join(dir, "ledger.db")); err == nil {
				b.ReportMetric(float64(st.Size())/float64(max(flushed, 1)), "file-bytes/exchange")
			}
		})
	}
}
