"""The command line: thin verbs, one file each. A body imports what it needs when it is called."""
