//go:build !(linux && amd64)

package guiatest_test

func traceMain() int { return 2 }
