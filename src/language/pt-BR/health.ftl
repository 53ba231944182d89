# What is wrong, and what a person can do about it.
