package guiatest_test

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// traceMain is the main of the tracer: it runs a worker under ptrace, notes what it does to its directory, and makes one system call
// of it fail, or the last. It is a process of its own because it waits for every child there is. Compared with strace: faults are
// counted over all calls and threads together, and hit exactly once, before or after the effect.
func traceMain() int {
	runtime.LockOSThread() // ptrace belongs to a thread
	file := os.Getenv("GUIATEST_TRACE")
	w := &watcher{dir: os.Getenv("GUIATEST_PATH"), pending: map[int]*pendingCall{}}
	parts := strings.SplitN(os.Getenv("GUIATEST_FAULT"), ",", 3)
	if len(parts) != 3 {
		return 2
	}
	w.at, _ = strconv.Atoi(parts[0]) // 0 is no fault
	w.counting, w.fault = parts[1] == "true", fault(parts[2])
	w.data = w.at == 0
	code, err := w.run()
	var b bytes.Buffer
	if err == nil {
		err = gob.NewEncoder(&b).Encode(w.trace)
	}
	if err == nil {
		err = os.WriteFile(file, b.Bytes(), 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tracer:", err)
		return 2
	}
	return code
}

type watcher struct {
	dir      string
	pid      int
	mem      *os.File
	trace    trace
	clock    int
	pending  map[int]*pendingCall // by thread
	at       int                  // the call to hit
	counting bool
	fault    fault
	data     bool // note what is written, not only that
}

type pendingCall struct {
	call
	keep   bool // goes into the trace when it succeeds
	result bool // the result is a descriptor of the created file
	trunc  bool // an existing file was opened with O_TRUNC
	fail   syscall.Errno
	kill   bool
}

const (
	wall           = 0x40000000
	optionExitKill = 0x100000
	getSyscallInfo = 0x420e
	atFDCWD        = -100
)

func (w *watcher) run() (int, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "GUIATEST_TRACE=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	w.pid = cmd.Process.Pid
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(w.pid, &status, 0, nil); err != nil {
		return 0, err
	}
	options := 1 /* TRACESYSGOOD */ | syscall.PTRACE_O_TRACECLONE | optionExitKill
	if err := syscall.PtraceSetOptions(w.pid, options); err != nil {
		return 0, err
	}
	var err error
	if w.mem, err = os.Open(fmt.Sprintf("/proc/%d/mem", w.pid)); err != nil {
		return 0, err
	}
	defer w.mem.Close()
	if err := syscall.PtraceSyscall(w.pid, 0); err != nil {
		return 0, err
	}
	known := map[int]bool{w.pid: true}
	for {
		tid, err := syscall.Wait4(-1, &status, wall, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, fmt.Errorf("wait: %w", err)
		case status.Exited() && tid == w.pid:
			return status.ExitStatus(), nil
		case status.Signaled() && tid == w.pid:
			return 128 + int(status.Signal()), nil
		case !status.Stopped():
			continue // a thread ended
		}
		deliver := 0
		switch sig := status.StopSignal(); {
		case sig == syscall.SIGTRAP|0x80:
			if err := w.stop(tid); err != nil && !errors.Is(err, syscall.ESRCH) {
				return 0, err
			}
		case sig == syscall.SIGTRAP && status.TrapCause() > 0:
		case sig == syscall.SIGSTOP && !known[tid]:
			known[tid] = true
		default:
			deliver = int(sig)
		}
		if err := syscall.PtraceSyscall(tid, deliver); err != nil && !errors.Is(err, syscall.ESRCH) {
			return 0, fmt.Errorf("continue: %w", err)
		}
	}
}

// stop handles the entry into or the exit from a system call.
func (w *watcher) stop(tid int) error {
	var info [88]byte
	if _, _, e := syscall.RawSyscall6(syscall.SYS_PTRACE, getSyscallInfo, uintptr(tid), uintptr(len(info)), uintptr(unsafe.Pointer(&info)), 0, 0); e != 0 {
		return e
	}
	w.clock++
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(info[24+8*i:]) }
	switch info[0] {
	case 1:
		p := w.enter(tid, int(word(0)), func(i int) uint64 { return word(1 + i) })
		if p == nil {
			return nil
		}
		p.Enter = w.clock
		w.pending[tid] = p
		return w.strike(tid, p)
	case 2:
		p := w.pending[tid]
		if p == nil {
			return nil
		}
		delete(w.pending, tid)
		return w.exit(tid, p, int64(word(0)))
	}
	return nil
}

// strike counts the call and, when it is the one, arms the fault.
func (w *watcher) strike(tid int, p *pendingCall) error {
	if !w.counting || p.Op == opSay {
		return nil
	}
	w.trace.Targets = append(w.trace.Targets, p.Op)
	if len(w.trace.Targets) != w.at {
		return nil
	}
	w.trace.Hit = fmt.Sprintf("%s of %s", opNames[p.Op], strings.TrimPrefix(p.Path, w.dir))
	switch w.fault {
	case killBefore:
		return syscall.Kill(w.pid, syscall.SIGKILL)
	case killAfter:
		p.kill = true
		return nil
	case failEIO:
		p.fail = syscall.EIO
	case failENOSPC:
		p.fail = syscall.ENOSPC
	}
	var regs syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	regs.Orig_rax = ^uint64(0) // no such system call: nothing happens
	return syscall.PtraceSetRegs(tid, &regs)
}

var opNames = map[op]string{
	opRead: "read", opWrite: "write", opSize: "truncate", opSync: "sync", opCreate: "open", opMkdir: "mkdir", opRename: "rename", opLink: "link", opUnlink: "unlink",
}

func (w *watcher) exit(tid int, p *pendingCall, result int64) error {
	if p.fail != 0 {
		var regs syscall.PtraceRegs
		if err := syscall.PtraceGetRegs(tid, &regs); err != nil {
			return err
		}
		regs.Rax = uint64(-int64(p.fail))
		return syscall.PtraceSetRegs(tid, &regs)
	}
	if p.kill {
		if err := syscall.Kill(w.pid, syscall.SIGKILL); err != nil {
			return err
		}
	}
	if result < 0 {
		return nil
	}
	if p.Op == opSay && bytes.HasPrefix(p.Data, []byte("opened")) {
		w.counting = true
	}
	if p.Op == opSay && bytes.HasPrefix(p.Data, []byte("imported")) {
		w.trace.Imported = len(w.trace.Targets)
	}
	if p.result {
		p.Ino, _ = inode(fmt.Sprintf("/proc/%d/fd/%d", w.pid, result))
	}
	if p.Op == opWrite && int64(len(p.Data)) > result {
		p.Data = p.Data[:result]
	}
	if p.trunc {
		p.Op, p.Off, p.keep = opSize, 0, true
	}
	if p.keep {
		p.Exit = w.clock
		w.trace.Calls = append(w.trace.Calls, p.call)
	}
	return nil
}

// enter looks at a system call about to be made and returns nil for those that do not touch the directory.
func (w *watcher) enter(tid, number int, arg func(int) uint64) *pendingCall {
	fd := func(i int) int { return int(int32(arg(i))) }
	switch number {
	case syscall.SYS_WRITE:
		if fd(0) == 1 {
			return &pendingCall{call: call{Op: opSay, Data: w.bytes(arg(1), arg(2))}, keep: true}
		}
		return w.onFile(opWrite, fd(0), func(p *pendingCall) { p.Off, p.Data = w.position(fd(0)), w.written(arg(1), arg(2)) })
	case syscall.SYS_PWRITE64:
		return w.onFile(opWrite, fd(0), func(p *pendingCall) { p.Off, p.Data = int64(arg(3)), w.written(arg(1), arg(2)) })
	case syscall.SYS_FSYNC, syscall.SYS_FDATASYNC:
		return w.onFile(opSync, fd(0), nil)
	case syscall.SYS_FTRUNCATE:
		return w.onFile(opSize, fd(0), func(p *pendingCall) { p.Off = int64(arg(1)) })
	case syscall.SYS_PREAD64, syscall.SYS_READ:
		return w.onFile(opRead, fd(0), func(p *pendingCall) { p.keep = false })
	case syscall.SYS_WRITEV, syscall.SYS_PWRITEV, syscall.SYS_FALLOCATE, syscall.SYS_SENDFILE, syscall.SYS_SPLICE, 326 /* copy_file_range */ :
		if w.onFile(opWrite, fd(0), nil) != nil {
			panic(fmt.Sprintf("the tracer does not know system call %d", number)) // a wrong model would prove nothing
		}
	case syscall.SYS_OPEN:
		return w.onOpen(w.path(atFDCWD, arg(0)), int(arg(1)))
	case syscall.SYS_OPENAT:
		return w.onOpen(w.path(fd(0), arg(1)), int(arg(2)))
	case syscall.SYS_MKDIR:
		return w.onName(opMkdir, w.path(atFDCWD, arg(0)), "")
	case syscall.SYS_MKDIRAT:
		return w.onName(opMkdir, w.path(fd(0), arg(1)), "")
	case syscall.SYS_UNLINK, syscall.SYS_RMDIR:
		return w.onName(opUnlink, w.path(atFDCWD, arg(0)), "")
	case syscall.SYS_UNLINKAT:
		return w.onName(opUnlink, w.path(fd(0), arg(1)), "")
	case syscall.SYS_RENAME:
		return w.onName(opRename, w.path(atFDCWD, arg(0)), w.path(atFDCWD, arg(1)))
	case syscall.SYS_RENAMEAT, 316 /* renameat2 */ :
		return w.onName(opRename, w.path(fd(0), arg(1)), w.path(fd(2), arg(3)))
	case syscall.SYS_LINK:
		return w.onName(opLink, w.path(atFDCWD, arg(0)), w.path(atFDCWD, arg(1)))
	case syscall.SYS_LINKAT:
		return w.onName(opLink, w.path(fd(0), arg(1)), w.path(fd(2), arg(3)))
	}
	return nil
}

func (w *watcher) onFile(o op, fd int, more func(*pendingCall)) *pendingCall {
	if fd < 3 {
		return nil
	}
	link := fmt.Sprintf("/proc/%d/fd/%d", w.pid, fd)
	path, err := os.Readlink(link)
	if path = strings.TrimSuffix(path, " (deleted)"); err != nil || !w.inside(path) {
		return nil
	}
	p := &pendingCall{call: call{Op: o, Path: path}, keep: true}
	p.Ino, _ = inode(link)
	if more != nil {
		more(p)
	}
	return p
}

func (w *watcher) onOpen(path string, flags int) *pendingCall {
	if !w.inside(path) {
		return nil
	}
	p := &pendingCall{call: call{Op: opCreate, Path: path}}
	_, exists := inode(path)
	p.keep = !exists && flags&syscall.O_CREAT != 0
	p.trunc = exists && flags&syscall.O_TRUNC != 0
	p.result = true
	return p
}

func (w *watcher) onName(o op, path, to string) *pendingCall {
	if !w.inside(path) && !w.inside(to) {
		return nil
	}
	p := &pendingCall{call: call{Op: o, Path: path, To: to}, keep: true}
	p.Ino, _ = inode(path)
	return p
}

// inside reports whether the path is the directory, below it, or the folder it stands in (its own name is there). Memory that
// processes share over a file (-shm) is no content.
func (w *watcher) inside(path string) bool {
	return (path == w.dir || path == filepath.Dir(w.dir) || strings.HasPrefix(path, w.dir+"/")) && !strings.HasSuffix(path, "-shm")
}

func (w *watcher) path(dirfd int, at uint64) string {
	b := make([]byte, 4096)
	n, _ := w.mem.ReadAt(b, int64(at)) // the page behind the name may not be mapped
	name, _, _ := bytes.Cut(b[:n], []byte{0})
	if filepath.IsAbs(string(name)) {
		return filepath.Clean(string(name))
	}
	base := fmt.Sprintf("/proc/%d/cwd", w.pid)
	if dirfd != atFDCWD {
		base = fmt.Sprintf("/proc/%d/fd/%d", w.pid, dirfd)
	}
	dir, err := os.Readlink(base)
	if err != nil {
		return ""
	}
	return filepath.Join(dir, string(name))
}

func (w *watcher) written(at, n uint64) []byte {
	if !w.data {
		return nil
	}
	return w.bytes(at, n)
}

func (w *watcher) bytes(at, n uint64) []byte {
	b := make([]byte, n)
	if _, err := w.mem.ReadAt(b, int64(at)); err != nil {
		panic(fmt.Sprintf("read %d bytes of the worker: %v", n, err))
	}
	return b
}

// position is where the next write to the descriptor goes.
func (w *watcher) position(fd int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", w.pid, fd))
	var pos int64
	if err == nil {
		_, err = fmt.Sscanf(string(text), "pos:\t%d", &pos)
	}
	if err != nil {
		panic(fmt.Sprintf("position of descriptor %d: %v", fd, err))
	}
	return pos
}

func inode(path string) (ino uint64, exists bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	return info.Sys().(*syscall.Stat_t).Ino, true
}
