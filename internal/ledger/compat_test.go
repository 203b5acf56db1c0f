package ledger

import (
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tailplane/internal/llm"
)

// Records and rollups as the first release wrote them; they stay readable.
const (
	oldRecord = `0a057265715f311115bd186032f1ea181a0863336631613964322a066b5f3751324d320c636861742d6261636b656e643a0461636d654a0867656e65726174655204636861745a0a6770742d352d6d696e69600168940e42134f70656e41492f507974686f6e20322e332e307a116c65617374206c6f61646564206f66203382019781000a096f70656e61692d657512066f70656e61691a156770742d352d6d696e692d323032352d30382d30372204636861742a0673706c6963653205666972737440d0e80c48015880aaea556080e2a2c8016880bcc1960b70c8017a0e7265715f39663063326537623431820103656e64ba0195800008f30b10800830d40138404a087265706f72746564c00194c249ca01067072696365649201026f6b9801c801b00198e605b801c0e6dfc801c001c0c0fe960bc801d601d001c0928b1dd801d2f802e20195800008f30b10800830d40138404a087265706f72746564e80194c249f20106707269636564fa011767656e61692d7072696365732f323032362d30382d3231`
	oldRollup = `01070a6770742d352d6d696e69096f70656e61692d6575066b5f3751324d0c636861742d6261636b656e640461636d65026f6b0000010203040506d983903b02e6178010a8038001a884930102e6178010a8038001a8849301`
)

func TestOldRecordDecodesAndStaysAsItIs(t *testing.T) {
	data, err := hex.DecodeString(oldRecord)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeExchange(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(typical("req_1"), got, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	if again := hex.EncodeToString(appendExchange(nil, typical("req_1"))); again != oldRecord {
		t.Errorf("a record without units or tier is written otherwise than before:\n%s", again)
	}
}

func TestOldRollupDecodes(t *testing.T) {
	data, err := hex.DecodeString(oldRollup)
	if err != nil {
		t.Fatal(err)
	}
	var want, got rollup
	want.add(typical("req_1"))
	want.cells[0].provider = "" // which it did not know
	hour := want.cells[0].hour
	if err := decodeRollup(data, hour, got.merge); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(contents(&want), contents(&got), rollupTypes); d != "" {
		t.Error(d)
	}
}

func TestAnOldVersionHasNoNewValues(t *testing.T) {
	var r, got rollup
	ex := typical("req_1")
	for _, u := range []*llm.Usage{&ex.Usage, &ex.Attempts[0].Usage} {
		u.Images, u.AudioMillis, u.Characters, u.SearchUnits = 1, 90_500, 4096, 7
	}
	r.add(ex)
	data := r.encode(nil, r.cells[0].hour)
	if err := decodeRollup(data, r.cells[0].hour, got.merge); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(contents(&r), contents(&got), rollupTypes); d != "" {
		t.Error(d)
	}
	data[0] = rollupFirst
	if err := decodeRollup(data, r.cells[0].hour, got.merge); err == nil {
		t.Error("values that version 1 does not have were taken from it")
	}
}
