"""The formats that datasets are stored in: one small module for each.

`kinds` tells formats by names alone; the others open files. Each gives a file as groups of rows:
a schema, features, rows and null counts by group, and the table of a group.
"""
