"""Helpers for the notebook series. Imports go one way: each room may use only the rooms above it.

hub → config → submission → plots, checkpoints → data → models → likelihood → finetune, sampling, ood → checks
"""
