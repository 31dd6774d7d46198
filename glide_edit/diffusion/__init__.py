"""The noise schedule, counted noise, and the samplers: nothing here knows of text, guidance or masks.

No names are handed on here: ``glide_edit.conditioning`` imports ``diffusion.schedule`` and the samplers
import ``glide_edit.conditioning``, so importing them from this file would go round in a circle.
"""
