package identitytest

import (
	"strings"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/core"
)

// corpus are names that others have tried.
func corpus() map[string]string {
	return map[string]string{
		"quote":        `' or '1'='1`,
		"statement":    `'; DROP TABLE mqtt_user; --`,
		"double quote": `"; DROP TABLE "mqtt_user"; --`,
		"backslash":    `\'; DELETE FROM mqtt_user; \`,
		"union":        `x' union select 'right', '', 1 --`,
		"comment":      `x/*`,
		"line":         "a\r\nFLUSHALL\r\n",
		"bulk":         "x\r\n*1\r\n$8\r\nFLUSHALL\r\n",
		"template":     `${username}${clientid}$${topic`,
		"placeholder":  `$1 ? :name %s {} @v %u %c`,
		"json":         `{"$gt":""}`,
		"json end":     `x"}, "limit": 1000, "filter": {"username": "guard`,
		"operator":     `$ne`,
		"blank":        ` two  blanks `,
		"unicode":      "Ärger ‘quoted’ 𝕏 \u2028",
		"like":         `a%_\%`,
		"wildcard":     `+/#`,
		"key":          `guard password`,
	}
}

// oddNames are nothing but names: nobody gets in by one who is not there, and who is there
// gets in as nobody else.
func oddNames(b *bench) {
	b.site.SetUsers(b.T, User{Name: "guard", Password: "kept", Superuser: true})
	list := []Rule{{Username: "guard", Access: 3, Topic: "guard/#"}}
	s := b.source()
	texts := corpus()
	unknown := map[string]string{"64 KiB": strings.Repeat("x'\"$", 1<<14)[:1<<16-1], "NUL": "guard\x00", "NUL and quote": "a\x00' or '1'='1", "not UTF-8": "\xff\xfe"}
	for name, text := range texts {
		unknown[name] = text
	}
	for _, text := range unknown {
		b.login(s, "c1", text, "kept", core.Ignore)
		if utf8.ValidString(text) && !strings.Contains(text, "\x00") { // as a client id, too
			b.login(s, text, "guard", "wrong", core.Deny)
			b.login(s, text, "guard", "kept", core.Allow)
		}
	}
	var rows []User
	for _, text := range texts {
		rows = append(rows, User{Name: text, Password: "p" + text})
		list = append(list, Rule{Username: text, Access: 3, Topic: "own/%c"})
	}
	b.site.SetUsers(b.T, rows...)
	b.site.SetRules(b.T, list)
	for _, text := range texts {
		b.login(s, "c1", text, "kept", core.Deny)
		id := b.login(s, "c1", text, "p"+text, core.Allow)
		if id.Grant == nil || id.Grant.Superuser {
			b.Errorf("%q: %+v", text, id.Grant)
			continue
		}
		b.wants(s, id, core.Allow, "publish own/c1")
		b.wants(s, id, b.other(), "publish own/c2", "publish guard/x", "subscribe guard/#")
	}
	if id := b.login(s, "c1", "guard", "kept", core.Allow); id.Grant != nil && !id.Grant.Superuser {
		b.Error("guard is no superuser any more")
	}
}

// likeKeys: a name with the letters that keys are made with is no other key.
func likeKeys(b *bench) {
	b.site.SetUsers(b.T, User{Name: "a", Password: "right"}, User{Name: "a:b", Password: "other"})
	b.site.SetRules(b.T, []Rule{{Username: "a", Access: 2, Topic: "a"}, {Username: "a:b", Access: 2, Topic: "ab"}})
	s := b.source()
	b.login(s, "c1", "a:b", "right", core.Deny)
	b.wants(s, b.login(s, "c1", "a:b", "other", core.Allow), b.other(), "publish a")
	b.wants(s, b.login(s, "c1", "a", "right", core.Allow), b.other(), "publish ab")
}
