"""nodulax finds lung nodules on chest radiographs. For research, not a medical device."""

import os

# XLA heeds TensorFlow's variable: its warnings are not for the user.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

NOTICE = 'For research. Not a medical device.'
