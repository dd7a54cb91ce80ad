package dingtalktest

import "fmt"

// Names are put together from parts that thousands of people carry; no name was taken from a list of people.
var (
	surnames = [][2]string{
		{"陳", "Chan"},
		{"黃", "Wong"},
		{"李", "Lei"},
		{"梁", "Leong"},
		{"楊", "Ieong"},
		{"蘇", "Sou"},
		{"馮", "Fong"},
		{"何", "Ho"},
		{"林", "Lam"},
		{"吳", "Ng"},
		{"鄭", "Cheang"},
		{"周", "Chao"},
		{"歐陽", "Ao Ieong"},
		{"譚", "Tam"},
		{"許", "Hoi"},
		{"盧", "Lou"},
		{"羅", "Lo"},
		{"謝", "Che"},
		{"甘", "Kam"},
		{"司徒", "Si Tou"},
	}
	givenChinese = [][2]string{
		{"嘉", "Ka"},
		{"偉", "Wai"},
		{"詠", "Weng"},
		{"敏", "Man"},
		{"文", "Man"},
		{"志", "Chi"},
		{"強", "Keong"},
		{"美", "Mei"},
		{"玲", "Leng"},
		{"家", "Ka"},
		{"豪", "Hou"},
		{"慧", "Wai"},
		{"詩", "Si"},
		{"俊", "Chon"},
		{"傑", "Kit"},
		{"安", "On"},
		{"寶", "Pou"},
		{"燕", "In"},
		{"國", "Kuok"},
		{"明", "Meng"},
		{"婷", "Teng"},
		{"朗", "Long"},
	}
	mainlandSurnames = []string{"张", "刘", "赵", "孙", "马", "朱", "胡", "郭", "高", "郑", "邓", "欧阳", "曾", "彭", "吕", "萧"}
	mainlandGiven    = []string{"伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "超", "秀兰", "建国"}
	givenPortuguese  = []string{"Ana", "João", "Maria", "António", "Inês", "José", "Conceição", "Luís", "Fátima", "Rui", "Beatriz", "Nuno"}
	namesPortuguese  = []string{"da Silva", "dos Santos", "Ferreira", "do Rosário", "Gonçalves", "da Luz", "Xavier", "de Assunção", "Sequeira", "Noronha"}
	givenFilipino    = []string{"Maricel", "Jomar", "Rowena", "Angelito", "Cristina", "Rodel", "Marites", "Arnel", "Jocelyn", "Reynaldo", "Liezl", "Benjie"}
	namesFilipino    = []string{"Dela Cruz", "Bautista", "Villanueva", "Manalo", "Pangilinan", "Macaraeg", "Dimaculangan", "Salonga", "Tolentino", "Abad"}
)

// kind is where somebody comes from; it decides the name, the phone and the papers.
type kind int

const (
	macanese   kind = iota // Chinese name, +853
	portuguese             // Portuguese name, +853
	filipino               // Filipino name, +853
	commuter               // crosses the border each day: simplified name, +86, works in Macau
	mainlander             // employed by the mainland subsidiary, +86
)

func (d *dice) name(k kind) string {
	switch k {
	case portuguese:
		return pick(d, givenPortuguese) + " " + pick(d, namesPortuguese)
	case filipino:
		return pick(d, givenFilipino) + " " + pick(d, namesFilipino)
	case commuter, mainlander:
		name := pick(d, mainlandSurnames) + pick(d, mainlandGiven)
		if d.percent(40) {
			name += pick(d, mainlandGiven)
		}
		return name
	default:
		s, a, b := pick(d, surnames), pick(d, givenChinese), pick(d, givenChinese)
		if d.percent(15) { // some write both scripts
			return s[0] + a[0] + b[0] + " " + s[1] + " " + a[1] + " " + b[1]
		}
		return s[0] + a[0] + b[0]
	}
}

// phone is valid in form: +853 620x xxxx, or +86 199 0000 xxxx and on, one block each.
func phone(k kind, index int) (state, mobile string) {
	if k == commuter || k == mainlander {
		return "86", fmt.Sprintf("1990%07d", index)
	}
	return "853", fmt.Sprintf("62%06d", index)
}

// paper is the number of an identity document, valid in form: a Macau resident's 1990000(0) and on, a worker's card, or an identity
// number of Zhuhai's city code with serial 00x and the right check character.
func paper(k kind, index int, birth string) string {
	switch k {
	case commuter, mainlander:
		s := "440400" + birth + fmt.Sprintf("%03d", index%9+1)
		weights := [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
		sum := 0
		for i, w := range weights {
			sum += w * int(s[i]-'0')
		}
		return s + string("10X98765432"[sum%11])
	case filipino:
		return fmt.Sprintf("2099%04d", index%10000)
	default:
		return fmt.Sprintf("199%04d(%d)", index%10000, index%10)
	}
}
