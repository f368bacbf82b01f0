"""SVRE on MNIST, beside what it is made of; larger batches instead."""
