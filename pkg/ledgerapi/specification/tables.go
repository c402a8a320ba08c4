// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"path/filepath"
	"slices"
	"strings"

	"github.com/emrys-health/emrys/pkg/emr"
	"github.com/emrys-health/emrys/pkg/ledgerapi"
)

// table is a rendered table of the page, by the name of its place.
type table struct{ name, text string }

// tablesOf renders every table from the source under the repository's root.
func tablesOf(root string) ([]table, error) {
	wire, err := read(filepath.Join(root, "pkg", "ledgerapi"))
	if err != nil {
		return nil, err
	}
	words, err := read(filepath.Join(root, "pkg", "emr"))
	if err != nil {
		return nil, err
	}
	var tables []table
	add := func(name string, rows [][]string, err error) error {
		if err != nil || len(rows) < 2 {
			return fmt.Errorf("table %s: nothing is found: %w", name, err)
		}
		tables = append(tables, table{name, render(rows)})
		return nil
	}
	for _, group := range []struct {
		name  string
		names []string
	}{
		{"transactions of people", ledgerapi.SignedTransactions()},
		{"transactions of organisations", ledgerapi.OrganisationTransactions()},
		{"queries", ledgerapi.Queries()},
	} {
		rows, err := functions(wire, group.names)
		if err := add(group.name, rows, err); err != nil {
			return nil, err
		}
	}
	for _, each := range []struct {
		name string
		rows [][]string
	}{
		{"arguments", arguments(wire)},
		{"keys", keys(wire)},
		{"limits", limits(wire)},
		{"reasons", reasons(words)},
	} {
		if err := add(each.name, each.rows, nil); err != nil {
			return nil, err
		}
	}
	for _, each := range []struct {
		name, prefix, head, meaning string
		from                        *source
	}{
		{"events", "Event", "event", "sent when", wire},
		{"codes", "Code", "code", "meaning", words},
		{"kinds", "Audit", "kind", "written when", words},
	} {
		rows, err := constants(each.from, each.prefix, each.head, each.meaning)
		if err := add(each.name, rows, err); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

// functions lists functions with what their source says: "Argument -> Result, by whom".
func functions(wire *source, names []string) ([][]string, error) {
	rows := [][]string{{"function", "argument → result", "by, and what for"}}
	for _, name := range names {
		c, found := wire.find(name)
		if !found || c.comment == "" {
			return nil, fmt.Errorf("function %s is not explained", name)
		}
		text := c.comment
		for _, lead := range []string{name + ": ", name + " "} {
			text = strings.TrimPrefix(text, lead)
		}
		shape, rest, _ := strings.Cut(text, ",")
		if cut := strings.IndexAny(shape, ";:"); cut > 0 {
			shape, rest = text[:cut], text[cut+1:]
		}
		if !strings.Contains(shape, "->") {
			shape, rest = "", text
		}
		shape = strings.ReplaceAll(strings.TrimSpace(shape), "->", "→")
		rows = append(rows, []string{"`" + name + "`", shape, strings.TrimSpace(rest)})
	}
	return rows, nil
}

// keys lists the object types with the attributes of their keys. A type without a maker of its own is an index.
func keys(wire *source) [][]string {
	rows := [][]string{{"type", "attributes", ""}}
	for _, c := range wire.with("Type") {
		made, found := wire.keys[c.name]
		if !found {
			made = shape{[]string{"owner", "inverted time", "id"}, "index, newest first"}
		}
		text := made.comment
		text = strings.TrimSuffix(strings.TrimPrefix(text, "is the key of "), ".")
		if rest, private := strings.CutPrefix(text, "is the private key of "); private {
			text = "private: " + rest
		}
		if c.comment != "" && found {
			text += " (" + strings.TrimSuffix(strings.TrimPrefix(c.comment, c.name+" "), ".") + ")"
		}
		rows = append(rows, []string{"`" + c.value + "`", strings.Join(made.attributes, ", "), text})
	}
	return rows
}

// arguments lists the fields of every argument of a signed action or a query.
func arguments(wire *source) [][]string {
	var names []string
	for name := range wire.structs {
		if strings.HasSuffix(name, "Args") || strings.HasSuffix(name, "Query") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	rows := [][]string{{"argument", "field", "type", ""}}
	for _, name := range names {
		first := "`" + name + "`"
		for _, f := range wire.structs[name] {
			rows = append(rows, []string{first, "`" + f.name + "`", f.kind, f.comment})
			first = ""
		}
	}
	return rows
}

// constants lists the constants whose names begin with prefix. Each must be explained.
func constants(from *source, prefix, head, meaning string) ([][]string, error) {
	rows := [][]string{{head, meaning}}
	for _, c := range from.with(prefix) {
		if c.comment == "" {
			return nil, fmt.Errorf("%s is not explained", c.name)
		}
		rows = append(rows, []string{"`" + c.value + "`", strings.TrimSuffix(strings.TrimPrefix(c.comment, c.name+": "), ".")})
	}
	return rows, nil
}

// limits lists the bounds that the contract enforces.
func limits(wire *source) [][]string {
	rows := [][]string{{"limit", "value", ""}}
	for _, c := range wire.constants {
		if ast.IsExported(c.name) && strings.IndexFunc(c.value, func(r rune) bool { return r < '0' || r > '9' }) < 0 {
			rows = append(rows, []string{"`" + c.name + "`", c.value, c.comment})
		}
	}
	return rows
}

func reasons(words *source) [][]string {
	rows := [][]string{{"reason", "shown to people as"}}
	for _, c := range words.with("Reason") {
		rows = append(rows, []string{"`" + c.value + "`", emr.Reason(c.value).Explain()})
	}
	return rows
}

// render writes rows as a table, the first as its head.
func render(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

// fill puts each table between its marks. A table without a place, and a place without a table, is an error.
func fill(page string, tables []table) (string, error) {
	for _, t := range tables {
		begin, end := "<!-- table: "+t.name+" -->\n", "<!-- end -->\n"
		at := strings.Index(page, begin)
		if at < 0 {
			return "", fmt.Errorf("page has no place for the table %q", t.name)
		}
		at += len(begin)
		length := strings.Index(page[at:], end)
		if length < 0 {
			return "", fmt.Errorf("table %q has no end", t.name)
		}
		page = page[:at] + t.text + page[at+length:]
	}
	if places := strings.Count(page, "<!-- table: "); places != len(tables) {
		return "", fmt.Errorf("page has places for %d tables, and there are %d", places, len(tables))
	}
	return page, nil
}
