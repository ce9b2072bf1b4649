"""One file a command; ``andon.cli.root`` says which, and loads it when it is called."""
