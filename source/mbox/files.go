package mbox

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"guia/source"
)

// title is a file's name without the endings that mail files have.
func title(name string) string {
	for _, ending := range []string{".mbox", ".eml", ".zip"} {
		if len(name) > len(ending) && strings.EqualFold(name[len(name)-len(ending):], ending) {
			name = name[:len(name)-len(ending)]
			break
		}
	}
	return strings.ToValidUTF8(name, "\uFFFD")
}

// litter reports files that mail programs leave beside mail: they describe it and hold none.
func litter(e source.Entry) bool {
	base := path.Base(e.Name)
	return strings.HasPrefix(base, "dovecot") || strings.HasSuffix(base, ".msf") ||
		slices.Contains([]string{"maildirfolder", "subscriptions", "msgFilterRules.dat", "courierimapsubscribed"}, base)
}

// folder is the mail folder that a file belongs to, below the mailbox: the path of an mbox without its ending, the folder of single
// messages; in a Maildir the folder that holds "cur", and "new" of the same.
func folder(name string, many bool) string {
	if many {
		return title(name)
	}
	dir := path.Dir(name)
	if base := path.Base(dir); base == "cur" || base == "new" || base == "tmp" {
		dir = path.Dir(dir)
	}
	if dir == "." {
		return ""
	}
	return strings.ToValidUTF8(dir, "\uFFFD")
}

// cut returns a part of a file.
func cut(input *source.Input, e source.Entry, start, size int64) (io.ReadCloser, error) {
	in, err := input.Open(e)
	if err != nil {
		return nil, err
	}
	if seeker, ok := in.(io.Seeker); ok {
		_, err = seeker.Seek(start, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, in, start)
	}
	if err != nil {
		in.Close()
		return nil, fmt.Errorf("go to byte %d: %w", start, err)
	}
	return cutting{io.LimitReader(in, size), in}, nil
}

type cutting struct {
	io.Reader
	io.Closer
}
