package sim

import "strconv"

// Rules of this file: a prompt is computed by one engine and decoded by another as
// vLLM's NixlConnector has it. Only what the engines say and count is simulated: blocks
// that are kept for another engine take no room, and are never waited for.

// transfer is what a request says of the other engine (`kv_transfer_params`).
type transfer struct {
	RemoteDecode  bool   `json:"do_remote_decode"`  // another engine decodes
	RemotePrefill bool   `json:"do_remote_prefill"` // another engine has computed the prompt
	EngineID      string `json:"remote_engine_id"`
	BlockIDs      []int  `json:"remote_block_ids"`
	Host          string `json:"remote_host"`
	Port          int    `json:"remote_port"`
}

// remote is how many tokens of a prompt come from another engine.
func (t *transfer) remote(blockSize int) int {
	if t == nil || !t.RemotePrefill || t.EngineID == "" || t.Host == "" {
		return 0
	}
	return len(t.BlockIDs) * blockSize
}

// appendTransfer appends what an engine says of the blocks that it has computed for
// another one: nothing unless it was asked to keep them, and null when it has not, for
// the answer has ended by itself.
func (g *generation) appendTransfer(dst []byte, id uint64) []byte {
	if g.transfer == nil || !g.transfer.RemoteDecode {
		return dst
	}
	if g.finish != reasonLength {
		return append(dst, `,"kv_transfer_params":null`...)
	}
	dst = append(dst, `,"kv_transfer_params":{"do_remote_prefill":true,"do_remote_decode":false,"remote_block_ids":[`...)
	size := g.model.Profile.BlockSize
	for i := range (g.req.Prompt + size - 1) / size {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(i), 10)
	}
	dst = append(dst, `],"remote_engine_id":"sim-`...)
	dst = strconv.AppendUint(dst, id, 10)
	return append(dst, `","remote_host":"sim.internal","remote_port":5600,"tp_size":1}`...)
}
