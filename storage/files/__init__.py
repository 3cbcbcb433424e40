"""Files of the hub, behind one interface: a folder by default, or an S3 bucket."""
