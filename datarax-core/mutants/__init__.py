"""Sources broken on purpose, each in one way: the contract suite must fail on every one."""
