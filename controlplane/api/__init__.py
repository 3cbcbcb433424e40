"""The REST skin: parse, call a service, render. No rule of the product lives here."""
