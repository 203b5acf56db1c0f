package complexity
import "encoding/json"
func jsonStr(s string) (string, error) { b, err := json.Marshal(s); return string(b), err }
