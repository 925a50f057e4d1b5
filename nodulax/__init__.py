"""nodulax finds lung nodules on chest radiographs. For research, not a medical device."""

import os

# TensorFlow writes the TensorBoard logs and the shards, and has nothing to say to the user.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

NOTICE = 'For research. Not a medical device.'
