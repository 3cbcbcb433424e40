"""The protocol room, against published vectors, properties and hostile input."""
