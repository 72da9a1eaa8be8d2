# Makes each line a C string.
s/\\/\\\\/g
s/"/\\"/g
s/^/"/
s/$/\\n"/
