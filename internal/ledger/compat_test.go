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
	oldRecord = `{"id":"req_1","start":"2026-11-24T09:30:00.123456789Z","config":"c3f1a9d2","key":"k_7Q2M","name":"chat-backend","customer":"acme","client":"OpenAI/Python 2.3.0","op":"generate","dialect":"chat","model":"gpt-5-mini","stream":true,"bytes":1812,"reason":"least loaded of 3","attempts":[{"target":"openai-eu","kind":"openai","model":"gpt-5-mini-2025-08-07","dialect":"chat","lane":"splice","why":"first","begin_ns":210000,"reused":true,"head_ns":180000000,"first_token_ns":420000000,"took_ns":3000000000,"status":200,"upstream_id":"req_9f0c2e7b41","stop":"end","usage":{"input":1523,"cache_read":1024,"output":212,"reasoning":64,"source":"reported"},"cost_nano":1204500,"pricing":"priced"}],"outcome":"ok","status":200,"admitted_ns":95000,"first_token_ns":421000000,"total_ns":3001000000,"events":214,"itl_max_ns":61000000,"sent_bytes":48210,"usage":{"input":1523,"cache_read":1024,"output":212,"reasoning":64,"source":"reported"},"cost_nano":1204500,"pricing":"priced","price_version":"genai-prices/2026-08-21"}`
	oldRollup = `01070a6770742d352d6d696e69096f70656e61692d6575066b5f3751324d0c636861742d6261636b656e640461636d65026f6b0000010203040506d983903b02e6178010a8038001a884930102e6178010a8038001a8849301`
)

func TestOldRecordParsesAndStaysAsItIs(t *testing.T) {
	var got Exchange
	if !parseInto(&got, oldRecord) {
		t.Fatal("the parser leaves an old record to encoding/json")
	}
	if d := cmp.Diff(typical("req_1"), &got, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	if again := string(appendExchange(nil, typical("req_1"))); again != oldRecord {
		t.Errorf("a record without units or tier is written otherwise than before:\n%s", again)
	}
}

func TestOldRollupDecodesAndStaysAsItIs(t *testing.T) {
	data, err := hex.DecodeString(oldRollup)
	if err != nil {
		t.Fatal(err)
	}
	var want, got rollup
	want.add(typical("req_1"))
	hour := want.cells[0].hour
	if err := decodeRollup(data, hour, got.merge); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(contents(&want), contents(&got), rollupTypes); d != "" {
		t.Error(d)
	}
	if again := hex.EncodeToString(want.encode(nil, hour)); again != oldRollup {
		t.Errorf("a rollup without units is written otherwise than before: %s", again)
	}
}

func TestRollupOfUnitsHasItsOwnVersion(t *testing.T) {
	var r, got rollup
	ex := typical("req_1")
	for _, u := range []*llm.Usage{&ex.Usage, &ex.Attempts[0].Usage} {
		u.Images, u.AudioMillis, u.Characters, u.SearchUnits = 1, 90_500, 4096, 7
	}
	r.add(ex)
	data := r.encode(nil, r.cells[0].hour)
	if data[0] != rollupUnits {
		t.Errorf("version %d", data[0])
	}
	if err := decodeRollup(data, r.cells[0].hour, got.merge); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(contents(&r), contents(&got), rollupTypes); d != "" {
		t.Error(d)
	}
	data[0] = rollupVersion
	if err := decodeRollup(data, r.cells[0].hour, got.merge); err == nil {
		t.Error("values that version 1 does not have were taken from it")
	}
}
