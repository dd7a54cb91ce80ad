package proof

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// TilePath returns the published path of a tile, for example
// "tile/0/x001/x234/067" or, for a width below 256, "tile/1/003.p/17"
// (c2sp.org/tlog-tiles, "Merkle Tree"). It panics on a tile that cannot be.
func TilePath(level int, index int64, width int) string {
	if level < 0 || level > 63 {
		panic(fmt.Sprintf("proof: no tiles at level %d", level))
	}
	return path(level, index, width)
}

// EntriesPath returns the published path of a bundle of width leaves, for
// example "tile/entries/x001/x234/067" (c2sp.org/tlog-tiles, "Log entries").
// It panics on a bundle that cannot be.
func EntriesPath(index int64, width int) string {
	return strings.Replace(path(-1, index, width), "/data/", "/entries/", 1)
}

func path(level int, index int64, width int) string {
	if index < 0 || width < 1 || width > TileWidth {
		panic(fmt.Sprintf("proof: no tile %d of width %d", index, width))
	}
	// tlog writes the height too: tile/8/0/000.
	p := tlog.Tile{H: TileHeight, L: level, N: index, W: width}.Path()
	return "tile" + strings.TrimPrefix(p, fmt.Sprintf("tile/%d", TileHeight))
}

// MaxEntry is the longest leaf that fits in an entry bundle.
const MaxEntry = math.MaxUint16

// AppendEntry appends a leaf to an entry bundle: its length as a big-endian
// uint16, and the leaf (c2sp.org/tlog-tiles, "Log entries").
func AppendEntry(bundle, leaf []byte) ([]byte, error) {
	if len(leaf) > MaxEntry {
		return bundle, fmt.Errorf("append entry: %d bytes, at most %d fit", len(leaf), MaxEntry)
	}
	return append(binary.BigEndian.AppendUint16(bundle, uint16(len(leaf))), leaf...), nil
}

// ParseEntries returns the leaves of an entry bundle, as views into it.
func ParseEntries(bundle []byte) ([][]byte, error) {
	var leaves [][]byte
	for rest := bundle; len(rest) > 0; {
		if len(leaves) == TileWidth {
			return nil, fmt.Errorf("parse entries: more than %d", TileWidth)
		}
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
			return nil, fmt.Errorf("parse entries: cut short in entry %d", len(leaves))
		}
		end := 2 + int(binary.BigEndian.Uint16(rest))
		leaves = append(leaves, rest[2:end:end])
		rest = rest[end:]
	}
	return leaves, nil
}
