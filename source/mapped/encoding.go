package mapped

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// Encoding is how a file writes characters as bytes.
type Encoding string

// The encodings that are read. Big5 includes the Hong Kong supplementary characters, as the WHATWG standard has it.
const (
	UTF8        Encoding = "utf-8"
	UTF16LE     Encoding = "utf-16le"
	UTF16BE     Encoding = "utf-16be"
	GB18030     Encoding = "gb18030"
	Big5        Encoding = "big5"
	Windows1252 Encoding = "windows-1252"
)

var encodings = []Encoding{UTF8, UTF16LE, UTF16BE, GB18030, Big5, Windows1252}

func (e Encoding) wide() bool { return e == UTF16LE || e == UTF16BE }

// double reports whether the second byte of a character may look like ASCII.
func (e Encoding) double() bool { return e == GB18030 || e == Big5 }

// table is what decodes the characters outside ASCII; nil of the forms of Unicode.
func (e Encoding) table() encoding.Encoding {
	switch e {
	case GB18030:
		return simplifiedchinese.GB18030
	case Big5:
		return traditionalchinese.Big5
	case Windows1252:
		return charmap.Windows1252
	default:
		return nil
	}
}

// text turns bytes a window was scanned for into valid UTF-8; bad says that some fit no character and were replaced by U+FFFD.
// For UTF-16 the scanned bytes are UTF-8 already.
func (e Encoding) text(b []byte) (s string, bad bool) {
	if table := e.table(); table != nil && !ascii(b) {
		out, err := table.NewDecoder().Bytes(b)
		if err != nil { // decoders replace and do not fail; if one does, nothing of it is trusted
			return strings.Repeat("\uFFFD", len(b)), true
		}
		return string(out), bytes.Contains(out, []byte("\uFFFD"))
	}
	if !utf8.Valid(b) {
		return strings.ToValidUTF8(string(b), "\uFFFD"), true
	}
	return string(b), e.wide() && bytes.Contains(b, []byte("\uFFFD"))
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// sampleSize is how much of a file the recogniser sees.
const sampleSize = 256 << 10

// Recognise says in which encoding a sample of a file is written, and how long the byte order mark before it is. A byte order mark
// decides; then validity; between GB18030, Big5 and Windows-1252, in which nearly every text of one is also possible in the others, the
// more common characters. ASCII is UTF-8. The sample may end inside a character.
func Recognise(sample []byte) (enc Encoding, mark int) {
	switch {
	case bytes.HasPrefix(sample, []byte("\xEF\xBB\xBF")):
		return UTF8, 3
	case bytes.HasPrefix(sample, []byte("\xFF\xFE")):
		return UTF16LE, 2
	case bytes.HasPrefix(sample, []byte("\xFE\xFF")):
		return UTF16BE, 2
	case bytes.HasPrefix(sample, []byte("\x84\x31\x95\x33")):
		return GB18030, 4
	}
	if enc, ok := wideWithoutMark(sample); ok {
		return enc, 0
	}
	good, bad := validity(sample)
	if bad == 0 || good > 20*bad { // a damaged byte does not make another encoding
		return UTF8, 0
	}
	gb, big5, western := GB18030.likelihood(sample), Big5.likelihood(sample), westernLikelihood(sample)
	switch {
	case gb <= 0 && big5 <= 0 && western <= 0:
		return UTF8, 0
	case western > max(gb, big5):
		return Windows1252, 0
	case big5 > gb:
		return Big5, 0
	}
	return GB18030, 0
}

// wideWithoutMark finds UTF-16 by the zero half of ASCII characters, above all of separators and line ends.
func wideWithoutMark(sample []byte) (Encoding, bool) {
	var zeros, common [2]int
	n := len(sample) / 2
	for i := 0; i+1 < len(sample); i += 2 {
		for half := range 2 {
			if sample[i+half] == 0 {
				zeros[half]++
				if strings.IndexByte("\r\n\t ,;\"0123456789", sample[i+1-half]) >= 0 {
					common[half]++
				}
			}
		}
	}
	switch {
	case n < 2:
	case common[1] > n/20 && zeros[0] <= zeros[1]/50:
		return UTF16LE, true
	case common[0] > n/20 && zeros[1] <= zeros[0]/50:
		return UTF16BE, true
	}
	return "", false
}

// validity counts characters outside ASCII that are UTF-8 and bytes that are not; a character cut off at the end is neither.
func validity(sample []byte) (good, bad int) {
	for len(sample) > 0 {
		if sample[0] < 0x80 {
			sample = sample[1:]
			continue
		}
		r, size := utf8.DecodeRune(sample)
		switch {
		case r != utf8.RuneError || size > 1:
			good++
		case !utf8.FullRune(sample):
			return good, bad
		default:
			bad++
		}
		sample = sample[size:]
	}
	return good, bad
}

// likelihood is how much a sample read in this encoding looks like Chinese that somebody wrote, as points per character: common
// characters and full-width punctuation count for it; characters that are no characters, and private or rare ones, against it.
func (e Encoding) likelihood(sample []byte) float64 {
	out, err := e.table().NewDecoder().Bytes(sample)
	if err != nil {
		return -1
	}
	var points, characters int
	for _, r := range string(out) {
		if r < 0x80 {
			continue
		}
		characters++
		switch {
		case r == utf8.RuneError:
			points -= 12
		case common[r]:
			points += 10
		case r >= 0x3000 && r <= 0x303F, r >= 0xFF00 && r <= 0xFFEF:
			points += 4
		case r >= 0xE000 && r <= 0xF8FF: // private use
			points -= 8
		case r >= 0x4E00 && r <= 0x9FFF:
			points++
		default: // other scripts and rare extensions: possible, but a sign of the wrong table
			points -= 3
		}
	}
	if characters == 0 {
		return 0
	}
	return float64(points) / float64(characters)
}

// westernLikelihood is how much a sample read as Windows-1252 looks like Portuguese, in the points of likelihood: accented letters count
// for it, one or two together in a word of ASCII letters, and so do signs that stand alone; longer runs are no Portuguese.
func westernLikelihood(sample []byte) float64 {
	var points, characters int
	for i := 0; i < len(sample); {
		if sample[i] < 0x80 {
			i++
			continue
		}
		start := i
		letters, signs := true, true
		for ; i < len(sample) && sample[i] >= 0x80; i++ {
			r := charmap.Windows1252.DecodeByte(sample[i])
			letters = letters && strings.ContainsRune("áàâãçéêíóôõúüñÁÀÂÃÇÉÊÍÓÔÕÚÜÑ", r)
			signs = signs && strings.ContainsRune("ºª€–—‘’“”…«»°§", r)
		}
		n := i - start
		characters += n
		inWord := start > 0 && letter(sample[start-1]) || i < len(sample) && letter(sample[i])
		switch {
		case n <= 2 && letters && inWord:
			points += 10 * n
		case n == 1 && (letters || signs): // à, é, ó are words
			points += 4
		default:
			points -= 6 * n
		}
	}
	if characters == 0 {
		return 0
	}
	return float64(points) / float64(characters)
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// common are characters that hardly a message does without: function words, numbers, people, time, work, and the words of headers,
// in both scripts. Written down from knowing the language, not from a table.
var common = func() map[rune]bool {
	set := make(map[rune]bool)
	for _, r := range "的一是不了在人有我他這这個个們们中來来上大為为和國国地到以說说時时要就出會会可也你對对生能而子那得於于著着下自之年過过發发後后" +
		"作裡里用道行所然家種种事成方多經经麼么去法學学如都同現现當当沒没動动面起看定天分還还進进好小部其些主樣样理心她本前開开但因只從从想實实" +
		"日月星期今明昨早午晚點点號号零二三四五六七八九十百千萬万元嗎吗呢吧啊哦請请謝谢您收到付款合同公司工程經理先生小姐老師师電电話话郵邮件" +
		"文檔档圖图表內内容送接者名稱称日期間间姓部門门職职位地址備备註注標标題题類类型附編编碼码客戶户員员資资料報报告會議议通知已未請假" +
		"係喺唔嘅咗哋嚟冇佢啲咁呀啦囉澳門香港葡" {
		set[r] = true
	}
	return set
}()
