"""Workers elsewhere, on the control plane's side: who there is, who runs what, and by which lease."""
