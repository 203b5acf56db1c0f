package admin

import (
	"fmt"
	"slices"
	"strings"
)

// Viewer is who asks, and as what. The zero Viewer may nothing.
type Viewer struct {
	// Actor stands in the audit: local, link:NAME, user:NAME.
	Actor string `json:"actor"`
	Role  Role   `json:"role"`
	// Customers are those that a customer-viewer sees, Targets those that a
	// gpu-team sees. None is none. Other roles see all.
	Customers []string `json:"customers,omitempty"`
	Targets   []string `json:"targets,omitempty"`
}

// Role is what somebody may see and do.
type Role string

// The roles, the strongest first: who has several gets the first of them.
const (
	Owner          Role = "owner"    // everything, and lets others in
	Operator       Role = "operator" // runs the gateway: keys, parties, reloads
	Finance        Role = "finance"  // money: usage, budgets, write-offs, new ratings
	Reader         Role = "viewer"   // looks, and changes nothing
	GPUTeam        Role = "gpu-team" // its targets; no money, no customers
	CustomerViewer Role = "customer-viewer"
)

// Roles are all roles in the order of their strength.
func Roles() []Role { return []Role{Owner, Operator, Finance, Reader, GPUTeam, CustomerViewer} }

// Right is one thing that a role may do, in words that complete "this role may
// not ...".
type Right string

// The rights.
const (
	ToLook       Right = "look at the whole plane"
	ToSeeUsage   Right = "see requests and usage"
	ToSeeModels  Right = "see models and targets"
	ToSeeKeys    Right = "see keys, parties and budgets"
	ToChangeKeys Right = "change keys and parties"
	ToSeeSecrets Right = "be told what stands for a key"
	ToAudit      Right = "read the audit"
	ToSettle     Right = "change what is owed"
	ToRun        Right = "reload the config"
	ToDrain      Right = "drain targets"
	ToLetIn      Right = "let others in"
	ToBeKnown    Right = "be told who they are"
)

// holders says who has a right.
var holders = map[Right][]Role{
	ToLook:       {Owner, Operator, Finance, Reader},
	ToSeeUsage:   Roles(),
	ToSeeModels:  {Owner, Operator, Finance, Reader, GPUTeam},
	ToSeeKeys:    {Owner, Operator, Finance, Reader},
	ToChangeKeys: {Owner, Operator},
	ToSeeSecrets: {Owner, Operator},
	ToAudit:      {Owner, Operator, Finance},
	ToSettle:     {Owner, Finance},
	ToRun:        {Owner, Operator},
	ToDrain:      {Owner, Operator},
	ToLetIn:      {Owner},
	ToBeKnown:    Roles(),
}

// ForbiddenError is a refusal of what a role may not do.
type ForbiddenError struct {
	Role  Role
	What  string // completes "may not"
	Needs []Role // one of them; none where no role helps
}

func (e *ForbiddenError) Error() string {
	text := fmt.Sprintf("the role %s may not %s", e.Role, e.What)
	if len(e.Needs) == 0 {
		return text
	}
	names := make([]string, len(e.Needs))
	for i, r := range e.Needs {
		names[i] = string(r)
	}
	return text + "; it takes the role " + strings.Join(names, " or ")
}

// may is nil when the viewer has a right.
func (v Viewer) may(right Right) error {
	if slices.Contains(holders[right], v.Role) {
		return nil
	}
	return &ForbiddenError{v.Role, string(right), holders[right]}
}

// refuse is the refusal of a detail that the narrow roles do not see.
func (v Viewer) refuse(what string) error {
	return &ForbiddenError{v.Role, what, holders[ToLook]}
}

// narrow reports whether the viewer sees a part of what there is.
func (v Viewer) narrow() bool { return v.Role == CustomerViewer || v.Role == GPUTeam }
