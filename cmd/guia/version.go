package main

import (
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"guia/directory"
)

// version is set by the linker for releases: -ldflags "-X main.version=1.2.3".
var version string

// programVersion is the version of the program: the release, or what the build knows of the source.
func programVersion() (v, revision string) {
	v = version
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v, ""
	}
	if v == "" && info.Main.Version != "" {
		v = strings.TrimPrefix(info.Main.Version, "v")
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value + revision
		case s.Key == "vcs.modified" && s.Value == "true":
			revision += "+changed"
		}
	}
	return v, revision
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Args: needs(0, 0), RunE: func(*cobra.Command, []string) error {
		v, revision := programVersion()
		platform := runtime.GOOS + "/" + runtime.GOARCH
		if p.json {
			return p.emit(struct {
				Version   string `json:"version"`
				Revision  string `json:"revision"`
				Go        string `json:"go"`
				Platform  string `json:"platform"`
				Directory int    `json:"directory_format"`
				Leaf      string `json:"leaf_format"`
				Bundle    string `json:"bundle_format"`
			}{v, revision, runtime.Version(), platform, directory.Format, "guia.leaf/v1", "guia.bundle/v1"})
		}
		p.print("guia " + v + "\n")
		p.pairs(
			p.text("version.revision"), revision,
			"Go", runtime.Version()+" "+platform,
			p.text("version.directory"), strconv.Itoa(directory.Format),
			p.text("version.leaf"), "guia.leaf/v1",
			p.text("version.bundle"), "guia.bundle/v1",
		)
		return nil
	}}
}
