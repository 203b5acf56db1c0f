package dialect_test

import (
	"fmt"
	"reflect"
	"testing"

	"tailplane/internal/dialect"
)

// memoryIsForgotten reads all recordings with one At.
func memoryIsForgotten(t *testing.T, samples []sample) {
	var calls, replies dialect.At
	c, ran := complaints{t: t}, 0
	for i := range samples {
		s := &samples[i]
		if s.codec == nil {
			continue
		}
		if s.request {
			ran++
			want, wantErr := dialect.ReadCall(s.codec, s.Request)
			got, err := dialect.ReadCallWith(&calls, s.codec, s.Request)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
				c.add(s, "the request is read otherwise: %v", err)
			}
		}
		if s.answer == asReply {
			ran++
			want, wantErr := s.codec.DecodeReply(s.Body, new(dialect.At))
			got, err := s.codec.DecodeReply(s.Body, &replies)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
				c.add(s, "the answer is read otherwise: %v", err)
			}
		}
	}
	c.done(ran)
}
