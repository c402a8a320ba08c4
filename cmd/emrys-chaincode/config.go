// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
)

// Names of environment variables. The first two are Fabric's.
const (
	envAddress   = "CHAINCODE_SERVER_ADDRESS"
	envID        = "CORE_CHAINCODE_ID_NAME"
	envKey       = "EMRYS_CHAINCODE_TLS_KEY"
	envCert      = "EMRYS_CHAINCODE_TLS_CERT"
	envClientCA  = "EMRYS_CHAINCODE_TLS_CLIENT_CA"
	envPlaintext = "EMRYS_CHAINCODE_INSECURE_PLAINTEXT"
	envLogLevel  = "EMRYS_CHAINCODE_LOG_LEVEL"
)

// config is the checked configuration. tls is nil for plain text only.
type config struct {
	address  string
	id       string
	tls      *tls.Config
	logLevel slog.Level
}

// loadConfig reads the environment. It returns every problem at once.
func loadConfig(getenv func(string) string) (*config, error) {
	cfg := &config{address: getenv(envAddress), id: getenv(envID)}
	var problems []error
	for _, name := range []string{envAddress, envID} {
		if getenv(name) == "" {
			problems = append(problems, fmt.Errorf("%s must be set", name))
		}
	}
	if text := getenv(envLogLevel); text != "" {
		if err := cfg.logLevel.UnmarshalText([]byte(text)); err != nil {
			problems = append(problems, fmt.Errorf("%s must be debug, info, warn or error", envLogLevel))
		}
	}
	var err error
	if cfg.tls, err = loadTLS(getenv); err != nil {
		problems = append(problems, err)
	}
	return cfg, errors.Join(problems...)
}

// loadTLS returns the TLS configuration: mutual, 1.3 only. Without key, certificate
// and client CA it refuses, unless plain text was asked for by its name.
func loadTLS(getenv func(string) string) (*tls.Config, error) {
	key, cert, clientCA := getenv(envKey), getenv(envCert), getenv(envClientCA)
	if getenv(envPlaintext) == "yes" {
		if key != "" || cert != "" || clientCA != "" {
			return nil, fmt.Errorf("%s contradicts the TLS files that are set", envPlaintext)
		}
		return nil, nil
	}
	if key == "" || cert == "" || clientCA == "" {
		return nil, fmt.Errorf("%s, %s and %s must be set: there is no service without mutual TLS", envKey, envCert, envClientCA)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("load %s and %s: %w", envCert, envKey, err)
	}
	authorities, err := os.ReadFile(clientCA) //nolint:gosec // a path that the operator gives
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", envClientCA, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("%s holds no PEM certificate", envClientCA)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, SessionTicketsDisabled: true,
	}, nil
}
