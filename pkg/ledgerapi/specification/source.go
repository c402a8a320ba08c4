// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// source is what a package's own source says of its names.
type source struct {
	constants []constant
	structs   map[string][]field
	keys      map[string]shape // by the constant of their type
}

// shape is what a key is made of, and what its maker says of it.
type shape struct {
	attributes []string
	comment    string
}

// constant is a named constant with what is written beside it, or above it.
type constant struct {
	name, value, comment string
}

// field is one field of a message.
type field struct {
	name, kind, comment string
}

// read parses the package in a folder, tests left out.
func read(folder string) (*source, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", folder, err)
	}
	s := &source{structs: map[string][]field{}, keys: map[string]shape{}}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse source: %w", err)
		}
		s.add(file)
	}
	return s, nil
}

func (s *source) add(file *ast.File) {
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			s.addKey(d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					if spec.Doc == nil && !d.Lparen.IsValid() {
						spec.Doc = d.Doc // a declaration of one
					}
					s.addConstant(spec)
				case *ast.TypeSpec:
					s.addStruct(spec)
				}
			}
		}
	}
}

func (s *source) addConstant(spec *ast.ValueSpec) {
	for i, name := range spec.Names {
		if i >= len(spec.Values) {
			return
		}
		value := types.ExprString(spec.Values[i])
		if text, err := strconv.Unquote(value); err == nil {
			value = text
		}
		s.constants = append(s.constants, constant{name.Name, value, comment(spec.Comment, spec.Doc)})
	}
}

// addKey keeps the shape of a key from a function that does nothing but make it: return key(Type…, attribute…).
func (s *source) addKey(d *ast.FuncDecl) {
	if d.Body == nil || len(d.Body.List) != 1 {
		return
	}
	statement, is := d.Body.List[0].(*ast.ReturnStmt)
	if !is || len(statement.Results) != 1 {
		return
	}
	call, is := statement.Results[0].(*ast.CallExpr)
	if !is || types.ExprString(call.Fun) != "key" || len(call.Args) == 0 {
		return
	}
	made := shape{comment: strings.TrimPrefix(sentence(d.Doc), d.Name.Name+" ")}
	for _, attribute := range call.Args[1:] {
		if conversion, is := attribute.(*ast.CallExpr); is && len(conversion.Args) == 1 {
			attribute = conversion.Args[0]
		}
		made.attributes = append(made.attributes, types.ExprString(attribute))
	}
	s.keys[types.ExprString(call.Args[0])] = made
}

func (s *source) addStruct(spec *ast.TypeSpec) {
	body, is := spec.Type.(*ast.StructType)
	if !is {
		return
	}
	fields := []field{}
	for _, f := range body.Fields.List {
		tag := ""
		if f.Tag != nil {
			text, _ := strconv.Unquote(f.Tag.Value)
			tag, _, _ = strings.Cut(reflect.StructTag(text).Get("json"), ",")
		}
		if tag == "" {
			continue
		}
		fields = append(fields, field{tag, types.ExprString(f.Type), comment(f.Comment, f.Doc)})
	}
	s.structs[spec.Name.Name] = fields
}

// comment prefers what stands beside a name to what stands above it.
func comment(beside, above *ast.CommentGroup) string {
	if text := sentence(beside); text != "" {
		return text
	}
	return sentence(above)
}

// sentence joins the lines of a comment, as they stand in a table.
func sentence(group *ast.CommentGroup) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(group.Text()), " "), "|", `\|`)
}

// with returns the constants whose names begin with prefix, in the order of the source.
func (s *source) with(prefix string) []constant {
	return slices.DeleteFunc(slices.Clone(s.constants), func(c constant) bool {
		return !strings.HasPrefix(c.name, prefix) || c.name == prefix
	})
}

// find returns the constant of a name.
func (s *source) find(name string) (constant, bool) {
	at := slices.IndexFunc(s.constants, func(c constant) bool { return c.name == name })
	if at < 0 {
		return constant{}, false
	}
	return s.constants[at], true
}
