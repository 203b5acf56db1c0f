package route

import (
	"os"
	"strconv"
)

func env(name string, d float64) float64 {
	if v := os.Getenv(name); v != "" {
		f, _ := strconv.ParseFloat(v, 64)
		return f
	}
	return d
}

var (
	tLearn  = env("LEARN", 1)
	tSpeed  = env("SPEED", 1)
	tTrust  = env("TRUST", 1)
	tK      = env("K", 4)
	tLambda = env("LAMBDA", 0.05)
	tDecode = env("DEC", 0.05)
	tCtx    = env("CTX", 0)
	tForm   = env("FORM", 0)
)
