package cli

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"
)

// turn are the flags that say how requests stand beside others where they have to
// wait.
type turn struct {
	priority string
	weight   float64
}

func turnFlags(cmd *cobra.Command) *turn {
	t := &turn{}
	f := cmd.Flags()
	f.StringVar(&t.priority, "priority", "", "whose requests go first where they have to wait: high, normal or low")
	f.Float64Var(&t.weight, "weight", 0, "part beside others of the priority where they have to wait, 0.01 to 10000")
	return t
}

// into puts what was given into an order.
func (t *turn) into(cmd *cobra.Command, order map[string]any) {
	if cmd.Flags().Changed("priority") {
		order["priority"] = t.priority
	}
	if cmd.Flags().Changed("weight") {
		order["weight"] = t.weight
	}
}

// turnOf is what a key or party says of it, for people.
func turnOf(priority string, weight float64) string {
	if priority == "" && weight == 0 {
		return "-"
	}
	w := "its party's"
	if weight != 0 {
		w = fmt.Sprint(weight)
	}
	return fmt.Sprintf("priority %s, weight %s", cmp.Or(priority, "its party's"), w)
}
