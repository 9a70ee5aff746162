"""The state of the screen of `top`, and what keys do to it. Pure."""
