package cli

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tailplane/internal/catalog"
	"tailplane/internal/config"
)

func catalogCommand(d Deps) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use: "catalog", Short: "Show and update prices, model limits and retirements", GroupID: "config",
		Example: "  tailplane catalog show\n  tailplane catalog trust KEY          # once, with the maker's public key\n  tailplane catalog update FILE",
		Long: "Prices, limits of models and the calendar of retirements are built into the program. A newer catalogue\n" +
			"comes as one signed file that you bring; nothing is ever fetched.",
	})
	cmd.AddCommand(catalogShow(d), catalogVerify(d), catalogUpdate(d), catalogTrust(d), catalogBuild(d), catalogKeygen())
	return cmd
}

// place is the section of the config and the state directory that a command
// works with.
func place(cmd *cobra.Command, d Deps) (cfg catalog.Config, dir string, err error) {
	cfg = catalog.Default()
	if path := d.FindConfig(); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return cfg, "", &Error{ExitFailed, fmt.Sprintf("the config cannot be read: %v", err), ""}
		}
		f, _ := config.Parse(path, text) // `check` tells what is wrong with it
		cfg = f.Catalog
	}
	state, _ := cmd.Flags().GetString("state") // declared on the root
	dir, err = d.StateDir(state)
	return cfg, dir, err
}

// shown is a catalogue as it is told.
type shown struct {
	Version  string               `json:"version"`
	Embedded bool                 `json:"embedded"`
	Refused  string               `json:"refused,omitempty"`
	Parts    []catalog.Part       `json:"parts"`
	Model    *catalog.Model       `json:"model,omitempty"`
	Upcoming []catalog.Retirement `json:"upcoming,omitempty"`
	About    []catalog.Retirement `json:"retirements,omitempty"`
}

func (s *shown) table(w io.Writer) error {
	p := &printer{w: w}
	kind := "signed"
	if s.Embedded {
		kind = "built in"
	}
	p.line("catalogue %s  (%s)", s.Version, kind)
	if p.err != nil {
		return p.err
	}
	var rows [][]string
	for _, part := range s.Parts {
		rows = append(rows, []string{"  " + part.Name, part.AsOf, fmt.Sprint(part.Entries), part.Source})
	}
	if err := columns(w, []string{"  PART", "AS OF", "ENTRIES", "SOURCE"}, rows); err != nil {
		return err
	}
	if m := s.Model; m != nil {
		p.line("%s  context %s, input %s, output %s  takes %s, makes %s  can %s", m.Model, limit(m.Context), limit(m.Input), limit(m.Output),
			orDash(strings.Join(m.Takes, ",")), orDash(strings.Join(m.Makes, ",")), orDash(strings.Join(m.Can, ",")))
	}
	for _, r := range append(s.About, s.Upcoming...) {
		p.line("%s %s/%s%s  %s", orDash(r.Shutdown), r.Provider, r.Model, with("  use ", strings.Join(r.Instead, " or ")), r.Source)
	}
	return p.err
}

func limit(n int64) string {
	if n == 0 {
		return "unknown"
	}
	return fmt.Sprint(n)
}

func catalogShow(d Deps) *cobra.Command {
	var retirements bool
	cmd := &cobra.Command{
		Use: "show [MODEL]", Short: "Show the catalogue that serve would use, or what it says about a model", Args: args(cobra.MaximumNArgs(1)),
		Example: "  tailplane catalog show\n  tailplane catalog show gpt-5.4\n  tailplane catalog show --retirements -o json",
	}
	format := outputFlag(cmd)
	cmd.Flags().BoolVar(&retirements, "retirements", false, "list the models whose shutdown is still to come")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, dir, err := place(cmd, d)
		if err != nil {
			return err
		}
		c, refused := catalog.Load(cfg, dir)
		if c == nil {
			return refused
		}
		s := shown{Version: c.Version(), Embedded: c.Embedded, Parts: c.Parts}
		if refused != nil {
			s.Refused = refused.Error()
		}
		if retirements {
			s.Upcoming = c.Upcoming(time.Now())
		}
		if len(args) == 1 {
			m, known := c.Model(args[0])
			s.About = c.RetirementsOf(args[0])
			if known {
				s.Model = &m
			}
			if !known && len(s.About) == 0 {
				return &Error{ExitNotFound, fmt.Sprintf("the catalogue says nothing about %q", args[0]), "give its name as the provider writes it"}
			}
		}
		if err := emit(cmd, format, s, s.table); err != nil {
			return err
		}
		if refused != nil {
			return &Error{ExitProblem, "another catalogue is refused: " + s.Refused, "the one above is used until then"}
		}
		return nil
	}
	return cmd
}

func catalogVerify(d Deps) *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Check a signed catalogue without taking it", Args: args(cobra.ExactArgs(1)),
		Example: "  tailplane catalog verify tailplane-catalog.bundle\n  tailplane catalog verify --key MCow... tailplane-catalog.bundle",
		Long:    "Check the signature and every line of a catalogue. Exits 7 when it would be refused.",
	}
	format := outputFlag(cmd)
	cmd.Flags().StringVar(&key, "key", "", "public key to verify with, instead of those that are trusted")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, dir, err := place(cmd, d)
		if err != nil {
			return err
		}
		keys, err := catalog.Keys(cfg, dir)
		if key != "" {
			var k ed25519.PublicKey
			k, err = catalog.ParseKey(key)
			keys = []ed25519.PublicKey{k}
		}
		if err != nil {
			return &Error{ExitUsage, err.Error(), ""}
		}
		data, err := readBundle(args[0])
		if err != nil {
			return err
		}
		c, err := catalog.Open(data, keys)
		if err != nil {
			return &Error{ExitProblem, fmt.Sprintf("%s: %v", args[0], err), ""}
		}
		s := shown{Version: c.Version(), Parts: c.Parts}
		return emit(cmd, format, s, s.table)
	}
	return cmd
}

func readBundle(path string) ([]byte, error) {
	data, err := catalog.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Error{ExitNotFound, err.Error(), ""}
	case err != nil:
		return nil, &Error{ExitProblem, err.Error(), ""}
	}
	return data, nil
}

func catalogUpdate(d Deps) *cobra.Command {
	return &cobra.Command{
		Use: "update FILE", Short: "Take a signed catalogue into the state directory", Args: args(cobra.ExactArgs(1)),
		Example: "  tailplane catalog update tailplane-catalog.bundle",
		Long: "Verify a catalogue and keep it for serve; a running tailplane that has a config takes it at once. One that\n" +
			"is older than what was taken before, or not signed by a trusted key, is refused.",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, dir, err := place(cmd, d)
			if err != nil {
				return err
			}
			data, err := readBundle(args[0])
			if err != nil {
				return err
			}
			c, err := catalog.Install(data, cfg, dir)
			if err != nil {
				code := ExitProblem
				if _, back := errors.AsType[*catalog.RollbackError](err); back {
					code = ExitConflict
				}
				return &Error{code, fmt.Sprintf("%s is refused: %v", args[0], err), ""}
			}
			out := cmd.OutOrStdout()
			_, _ = fmt.Fprintf(out, "catalogue %s is in %s\n", c.Version(), dir)
			if cfg.File != "" {
				_, err := fmt.Fprintf(out, "the config names another one, %s: that one is used\n", cfg.File)
				return err
			}
			_, err = fmt.Fprintln(out, tellRunning(cmd, d))
			return err
		},
	}
}

// tellRunning has a running program take what was installed.
func tellRunning(cmd *cobra.Command, d Deps) string {
	c, err := connect(cmd, d)
	if err == nil {
		err = c.do(cmd.Context(), "POST", "/reload", nil, nil, new(any))
	}
	if err != nil {
		return "it takes effect at the next start"
	}
	return "the running tailplane uses it now"
}

func catalogTrust(d Deps) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "trust KEY", Short: "Trust a maker's public key", Args: args(cobra.ExactArgs(1)),
		Example: "  tailplane catalog trust --name platform-team 'iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w='",
		Long:    "Keep a public key in the state directory, so that catalogues which it signed are taken. Keys that the\nconfig names under catalog.keys need no other trust.",
	}
	cmd.Flags().StringVar(&name, "name", "", "whose key it is, for the file's readers")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, err := catalog.ParseKey(args[0])
		if err != nil {
			return &Error{ExitUsage, err.Error(), ""}
		}
		_, dir, err := place(cmd, d)
		if err != nil {
			return err
		}
		added, err := catalog.Trust(dir, key, name)
		if err != nil {
			return err
		}
		what := "is trusted now"
		if !added {
			what = "was trusted before"
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "the key with the id %s %s; compare the id with its maker\n", catalog.KeyID(key), what)
		return err
	}
	return cmd
}

func catalogKeygen() *cobra.Command {
	return &cobra.Command{
		Use: "keygen FILE", Short: "Make a key to sign catalogues with", Args: args(cobra.ExactArgs(1)),
		Example: "  tailplane catalog keygen catalog-key.pem    # keep it off the gateway's machine",
		RunE: func(cmd *cobra.Command, args []string) error {
			public, private, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				return err
			}
			text, err := catalog.FormatSigner(private)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(args[0], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return &Error{ExitConflict, fmt.Sprintf("the key cannot be written: %v", err), "name a file that is not there"}
			}
			_, err = f.Write(text)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", catalog.FormatKey(public))
			return err
		},
	}
}

func catalogBuild(d Deps) *cobra.Command {
	var keyFile, out, made string
	parts := map[string]*string{}
	cmd := &cobra.Command{
		Use: "build --key FILE", Short: "Make and sign a catalogue", Args: args(cobra.NoArgs),
		Example: "  tailplane catalog build --key catalog-key.pem --prices prices.jsonl --out tailplane-catalog.bundle",
		Long: "Make a signed catalogue. Parts that are not named are those of this program. The same parts, time and key\n" +
			"give the same bytes.",
	}
	f := cmd.Flags()
	f.StringVar(&keyFile, "key", "", "file with the Ed25519 private key, in PEM")
	f.StringVar(&out, "out", "tailplane-catalog.bundle", "file to write")
	f.StringVar(&made, "made", "", "version of the catalogue, a time in RFC 3339 (default: now)")
	for _, name := range []string{catalog.Prices, catalog.Additions, catalog.Models, catalog.Retirements} {
		parts[name] = f.String(name, "", "file with the "+name+", in lines of JSON")
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if keyFile == "" {
			return &Error{ExitUsage, "a catalogue needs a key that signs it", "make one with `tailplane catalog keygen FILE`, and name it with --key"}
		}
		at, err := time.Parse(time.RFC3339, cmp.Or(made, time.Now().UTC().Format(time.RFC3339)))
		if err != nil {
			return &Error{ExitUsage, "--made: " + err.Error(), "write 2027-01-31T00:00:00Z"}
		}
		data, c, err := build(keyFile, at, parts)
		if err != nil {
			return &Error{ExitProblem, err.Error(), ""}
		}
		if err := os.WriteFile(out, data, 0o644); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: catalogue %s, %d bytes\n", out, c.Version(), len(data))
		return err
	}
	return cmd
}

// build makes a bundle of the built-in parts and the files that are named.
func build(keyFile string, made time.Time, files map[string]*string) ([]byte, *catalog.Catalog, error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, nil, err
	}
	key, err := catalog.ParseSigner(text)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	own, err := catalog.Embedded()
	if err != nil {
		return nil, nil, err
	}
	texts := map[string][]byte{}
	for name, path := range files {
		texts[name] = own.Text(name)
		if *path == "" {
			continue
		}
		if texts[name], err = os.ReadFile(*path); err != nil {
			return nil, nil, err
		}
	}
	c, err := catalog.New(made, texts)
	if err != nil {
		return nil, nil, err
	}
	data, err := catalog.Bundle(c, key)
	return data, c, err
}
