package seal

import (
	"context"
	"fmt"
)

// Copy writes a consistent copy of the key database for a backup and returns the number of the epoch key that it is wrapped under.
// No key is made, destroyed or wrapped anew meanwhile. The epoch key is not in it.
func (k *Keeper) Copy(ctx context.Context, path string) (epoch int, err error) {
	k.making.Lock()
	defer k.making.Unlock()
	if err := k.db.CopyTo(ctx, path); err != nil {
		return 0, fmt.Errorf("copy keys: %w", err)
	}
	return k.Epoch(), nil
}
