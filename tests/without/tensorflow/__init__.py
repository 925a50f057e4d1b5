"""Found before TensorFlow by every process that the tests start: nodulax must do without it."""

raise AssertionError('TensorFlow was imported')
