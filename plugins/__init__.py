"""The plugins that come with numgeom, one folder a family; loaded through the entry-point group ``numgeom``."""
