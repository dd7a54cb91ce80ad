//go:build !(linux && amd64)

package guiatest_test

func traceMain() int { return 2 }

func inode(string) (ino uint64, exists bool) { return 0, false }
