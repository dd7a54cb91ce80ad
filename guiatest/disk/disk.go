// Package disk gives a test a disk that is soon full. It knows nothing of the product, so that the lowest packages can use it.
package disk
