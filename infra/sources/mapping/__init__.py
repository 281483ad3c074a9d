"""Files of other systems as histories, by a mapping: a YAML file that says what each record means."""
