"""What a person sees: values in, pages out, in text and HTML. Nothing here prints, nothing here loads torch."""
