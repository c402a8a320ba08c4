module github.com/emrys-health/emrys/pkg/seal/bench

go 1.26.4

replace github.com/emrys-health/emrys => ../../..

require (
	filippo.io/age v1.3.1
	github.com/emrys-health/emrys v0.0.0
	github.com/minio/sio v0.4.3
	github.com/stretchr/testify v1.12.1
	github.com/tink-crypto/tink-go/v2 v2.7.0
)

require (
	filippo.io/hpke v0.4.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.55.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
)
