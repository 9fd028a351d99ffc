"""What the mesh's admission webhooks share.

- `review`: the API server's questions and our answers, as values;
- `pages`: where the API server asks and the kubelet looks;
- `server`: HTTPS that ends without a failed request;
- `authority`, `trust`: certificates of our own that the API server trusts, whatever happens to either.
"""
