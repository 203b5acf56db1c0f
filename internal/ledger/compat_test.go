package ledger

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
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

// oldSegments are the segments of earlier versions, each with two exchanges and one that is
// open.
func oldSegments(t *testing.T) map[string][]byte {
	out := map[string][]byte{}
	for version, text := range map[string]string{
		"02": `54504c4544473032010000000000000001000000000000009252fa7e2f91ec1800000000000000000000000000000000000000000000000000000000000000003b7885d500000000ceb5d13d13000000010000003aab3c6aeaa4bdd7cd5355c202cf64fd257e5242aeffa9452c38a942b660ac0b0a057265715f311115bd186032f1ea185a016d0039701e691d000000020000009c7dd1f093e97a8a5486781fa6a479be337d2303d95ca7268719c9101735ca780a057265715f311115bd186032f1ea185a016d9201026f6be201808000000000000000000e1e21a01300000001000000bed1f458a4040206650ba9215d2867a6f0729a2cddccf5e12d740c042f8d5a380a057265715f321115bd186032f1ea185a016d00fe04fd911d00000002000000e9c9d1c20e6d83174470c90be3499c81004835ca55d6f6dfea7acb7bcd1ff1de0a057265715f321115bd186032f1ea185a016d9201026f6be20180800000000000000000571bc0971300000001000000aef0eca72061415a08a841036e8643024c540adc45a2368451984354e99791790a057265715f331115bd186032f1ea185a016d00`,
		"03": `54504c454447303301000000000000000100000000000000fdbde66f3a9cec180000000000000000000000000000000000000000000000000000000000000000e9d558bf00000000a0c0d4fb130000000100000010393cf0eff063205e32513b6dd1b4f2b56c31352f8bca3bb72e3027a7bbb68c0a057265715f311115bd186032f1ea185a016d00f641f8061d000000020000003abd4684db001762e34be78d96573f786b7a535ff9508ad4609646efa743fb710a057265715f311115bd186032f1ea185a016d9201026f6be201808000000000000000008258c09d1300000001000000f7c93742275228faddd6feba307330a531351e68ad499a63aa2d193951fa1e180a057265715f321115bd186032f1ea185a016d006282cec51d00000002000000f035e4be7f4021449aa722fdf0c681109e03b6b9287e3e3fa637bd8b9c6402700a057265715f321115bd186032f1ea185a016d9201026f6be20180800000000000000000e8db780913000000010000008eaa32e7ae5018b287987e2b5d83d873e8fac43d30bc7751a61d1c158ed28d1e0a057265715f331115bd186032f1ea185a016d00`,
	} {
		data, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		out[version] = data
	}
	return out
}

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
	const usage, cost, pricing = "e20195800008f30b10800830d40138404a087265706f72746564", "e80194c249", "f20106707269636564"
	other := typical("req_1")
	other.Cost++
	for _, c := range []struct {
		ex   *Exchange
		want string
	}{
		{other, strings.Replace(oldRecord, cost, "e80195c249", 1)},
		{typical("req_1"), strings.Replace(oldRecord, usage+cost+pricing, "", 1) + "f00201"},
	} {
		if again := hex.EncodeToString(appendExchange(nil, c.ex)); again != c.want {
			t.Errorf("a record without units or tier is written otherwise than before:\n%s, want\n%s", again, c.want)
		}
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

func TestAnOldSegmentIsReadAndGoneOnFrom(t *testing.T) {
	for version, data := range oldSegments(t) {
		t.Run(version, func(t *testing.T) { goOnFrom(t, data) })
	}
}

func goOnFrom(t *testing.T, data []byte) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, segmentName(1)), data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenSQLite(t.Context(), filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	j := openTest(t, JournalOptions{Dir: dir, Store: s})
	if r := j.Recovered(); r.Records != 5 || r.Undrained != 2 || len(r.Unknown) != 1 || len(r.Torn)+len(r.Breaks) != 0 {
		t.Errorf("recovered %+v", r)
	}
	if err := errors.Join(j.Settle(typical("req_4")), j.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(dir); err != nil || !r.OK() || r.Records != 7 {
		t.Errorf("the chain over both: %+v, %v", r, err)
	}
	if r, err := s.VerifyStore(t.Context()); err != nil || !r.OK() || r.Records != 4 {
		t.Errorf("the store: %+v, %v", r, err)
	}
}

func TestARecordOfAnOldSegmentIsInItsChain(t *testing.T) {
	for version, data := range oldSegments(t) {
		if n, err := countRecords(data); n != 5 || err != nil {
			t.Fatalf("version %s: %d records, %v", version, n, err)
		}
		rec := data[headerSize : headerSize+frameSize+int(data[headerSize+4])]
		rec[len(rec)-1] ^= 1
		binary.LittleEndian.PutUint32(rec, crc32.Checksum(rec[4:], castagnoli))
		_, err := countRecords(data)
		if tear, ok := errors.AsType[*Tear](err); !ok || tear.Reason != "hash chain" {
			t.Errorf("version %s: a record that was written again: %v", version, err)
		}
	}
}

func TestASegmentOfALaterVersionIsNotRead(t *testing.T) {
	for _, data := range oldSegments(t) {
		for _, digit := range []byte{versionWhole - 1, versionMixed + 1} {
			data[len(segmentMagic)] = digit
			binary.LittleEndian.PutUint32(data[64:], crc32.Checksum(data[:64], castagnoli))
			if h, err := readHeader(data); err == nil {
				t.Errorf("version 0%c: read as %+v", digit, h)
			}
		}
	}
}
