package main

import (
	"io"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/term"
)

// env is everything a command knows of the world around it. For a command that came through the socket it describes the world of
// whoever typed it, not that of the process that carries it out.
type env struct {
	args           []string // without the program's name
	stdout, stderr io.Writer
	dir            string // working directory: relative paths are meant from here
	getenv         func(string) string
	login          string // login at the operating system
	terminal       bool   // stdout is watched by a person
	errTerminal    bool   // stderr is watched by a person
	width          int    // columns, 0 when unknown
	input          []byte // what the command has read besides its words, such as a secret
}

// system is the environment of this process.
func system() env {
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	e := env{
		args: os.Args[1:], stdout: os.Stdout, stderr: os.Stderr, dir: dir, getenv: os.Getenv, login: ownLogin(),
		terminal: term.IsTerminal(int(os.Stdout.Fd())), errTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			e.width = width
			break
		}
	}
	return e
}

// ownLogin is the login of whoever runs this process; empty when the system does not know.
func ownLogin() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

// abs returns the path as seen from the caller's working directory.
func (e *env) abs(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(e.dir, path)
}

// defaultDirectory is where the data directory is when nobody says: GUIA_DIR, else the place for data of the user.
func (e *env) defaultDirectory() string {
	if dir := e.getenv("GUIA_DIR"); dir != "" {
		return e.abs(dir)
	}
	if dir := e.getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "guia")
	}
	home := e.getenv("HOME")
	switch {
	case runtime.GOOS == "windows" && e.getenv("LOCALAPPDATA") != "":
		return filepath.Join(e.getenv("LOCALAPPDATA"), "guia")
	case home == "":
		return e.abs("guia-data")
	case runtime.GOOS == "darwin":
		return filepath.Join(home, "Library", "Application Support", "guia")
	}
	return filepath.Join(home, ".local", "share", "guia")
}

// validLogin makes a login that Guia accepts out of one of the operating system ("COMPANY\ana" becomes "ana").
func validLogin(osLogin string) string {
	_, name, found := strings.Cut(osLogin, `\`)
	if !found {
		name = osLogin
	}
	name, _, _ = strings.Cut(name, "@")
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return r
		}
		return '-'
	}, name)
	if len(name) > 64 {
		name = name[:64]
	}
	if name == "" {
		return "admin"
	}
	return name
}
