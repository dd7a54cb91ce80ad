package archive

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"guia/directory"
	"guia/lang"
	"guia/ledger"
)

// Support writes a zip that can be given to whoever helps: versions, sizes, counts by kind of event and source, health. There is no
// personal data in it, and no name of a person, conversation, file, folder, machine or case: what is not known to be harmless is
// left out.
func Support(ctx context.Context, d *directory.Directory, w io.Writer, followers ...ledger.Follower) error {
	health, err := Doctor(ctx, d, followers...)
	if err != nil {
		return err
	}
	for i, f := range health.Findings {
		if f.Check == "recovery" {
			health.Findings[i].Args = nil // a file name that somebody chose
		}
	}
	z := zip.NewWriter(w)
	now := time.Now().UTC().Truncate(time.Second)
	add := func(name string, write func(io.Writer) error) error {
		into, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: now})
		if err != nil {
			return err
		}
		return write(into)
	}
	asJSON := func(value any) func(io.Writer) error {
		return func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(value)
		}
	}
	err = errors.Join(
		add("README.txt", func(w io.Writer) error {
			_, err := fmt.Fprintln(w, lang.Text(lang.English, "support.readme"))
			return err
		}),
		add("versions.json", asJSON(versions())),
		add("numbers.json", asJSON(health.Numbers)),
		add("health.json", asJSON(health.Findings)),
		add("health.txt", func(w io.Writer) error {
			for _, f := range health.Findings {
				if _, err := fmt.Fprintf(w, "%-4s %s\n", f.Severity, lang.Text(lang.English, f.Key, f.Args...)); err != nil {
					return err
				}
			}
			return nil
		}),
	)
	if err := errors.Join(err, z.Close()); err != nil {
		return fmt.Errorf("write support archive: %w", err)
	}
	return nil
}

// versions are those of the program and what it was built from.
func versions() map[string]string {
	v := map[string]string{"format": fmt.Sprint(directory.Format), "go": runtime.Version(), "system": runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v["guia"] = build.Main.Version
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision", "vcs.time", "vcs.modified", "CGO_ENABLED":
			v[s.Key] = s.Value
		}
	}
	for _, dep := range build.Deps {
		v["module "+dep.Path] = dep.Version
	}
	return v
}
