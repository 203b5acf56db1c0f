package dialect

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tailplane/internal/llm"
)

// parsePackage reads the Go files of a folder, without tests.
func parsePackage(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func TestEverySurfaceOfThePackageStandsInTheIndex(t *testing.T) {
	indexed := map[string]bool{}
	for _, s := range Surfaces() {
		indexed[reflect.TypeOf(s).Name()] = true
	}
	declared := 0
	for _, file := range parsePackage(t, ".") {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "TapReply" {
				continue
			}
			declared++
			if name := f.Recv.List[0].Type.(*ast.Ident).Name; !indexed[name] {
				t.Errorf("%s is missing in index.go", name)
			}
		}
	}
	if declared != len(indexed) {
		t.Errorf("%d surfaces are declared, %d stand in the index", declared, len(indexed))
	}
}

func TestEveryDialectOfLLMHasASurface(t *testing.T) {
	found := 0
	for _, file := range parsePackage(t, "../llm") {
		ast.Inspect(file, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if kind, ok := v.Type.(*ast.Ident); !ok || kind.Name != "Dialect" {
				return true
			}
			found++
			value := v.Values[0].(*ast.BasicLit).Value
			if d := llm.Dialect(strings.Trim(value, `"`)); For(d) == nil {
				t.Errorf("%s (%s) has no surface in index.go", v.Names[0].Name, d)
			}
			return true
		})
	}
	if found < 5 {
		t.Errorf("%d dialects were found in package llm", found)
	}
}
