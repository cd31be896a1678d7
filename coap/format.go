package coap

import (
	"strconv"
	"strings"

	"github.com/fairlead-iot/fairlead/core"
)

// The Content-Formats that have a meaning here.
const (
	formatText   = 0
	formatLinks  = 40
	formatOctets = 42
	formatCBOR   = 60
)

// contentType is one row of the table of Content-Formats.
type contentType struct {
	format int64
	name   string
}

// contentTypes pairs Content-Formats with the Content Types of MQTT 5. The registry's
// rows that devices use; any other number travels as "coap-format/N".
func contentTypes() []contentType {
	return []contentType{
		{formatText, "text/plain;charset=utf-8"},
		{formatText, "text/plain"},
		{16, `application/cose; cose-type="cose-encrypt0"`},
		{17, `application/cose; cose-type="cose-mac0"`},
		{18, `application/cose; cose-type="cose-sign1"`},
		{formatLinks, "application/link-format"},
		{41, "application/xml"},
		{formatOctets, "application/octet-stream"},
		{47, "application/exi"},
		{50, "application/json"},
		{51, "application/json-patch+json"},
		{52, "application/merge-patch+json"},
		{formatCBOR, "application/cbor"},
		{61, "application/cwt"},
		{62, "application/multipart-core"},
		{63, "application/cbor-seq"},
		{101, "application/cose-key"},
		{102, "application/cose-key-set"},
		{110, "application/senml+json"},
		{111, "application/sensml+json"},
		{112, "application/senml+cbor"},
		{113, "application/sensml+cbor"},
		{114, "application/senml-exi"},
		{115, "application/sensml-exi"},
		{310, "application/senml+xml"},
		{320, "application/senml-etch+json"},
		{322, "application/senml-etch+cbor"},
		{432, "application/td+json"},
		{10000, "application/vnd.ocf+cbor"},
		{11542, "application/vnd.oma.lwm2m+tlv"},
		{11543, "application/vnd.oma.lwm2m+json"},
		{11544, "application/vnd.oma.lwm2m+cbor"},
	}
}

// unregistered begins the Content Type of a number that is not in the table.
const unregistered = "coap-format/"

// formats is the table, both ways.
type formats struct {
	names   map[int64]string
	numbers map[string]int64
}

func newFormats() formats {
	f := formats{names: map[int64]string{}, numbers: map[string]int64{}}
	for _, row := range contentTypes() {
		if _, known := f.names[row.format]; !known {
			f.names[row.format] = row.name
		}
		f.numbers[squeeze(row.name)] = row.format
	}
	return f
}

// squeeze makes spellings of one Content Type equal.
func squeeze(name string) string { return strings.ToLower(strings.ReplaceAll(name, " ", "")) }

// name is the Content Type of a Content-Format.
func (f *formats) name(format int64) string {
	if name, ok := f.names[format]; ok {
		return name
	}
	return unregistered + strconv.FormatInt(format, 10)
}

// number is the Content-Format of a Content Type, or none.
func (f *formats) number(name string) int64 {
	if n, ok := f.numbers[squeeze(name)]; ok {
		return n
	}
	if digits, ok := strings.CutPrefix(name, unregistered); ok {
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return int64(n)
		}
	}
	return none
}

// of is the Content-Format of a message as its publisher told it, or none.
func (f *formats) of(m *core.Message) int64 {
	switch p := m.Properties; {
	case p == nil:
		return none
	case p.ContentType != "":
		return f.number(p.ContentType)
	case p.PayloadFormat == 1:
		return formatText
	}
	return none
}
