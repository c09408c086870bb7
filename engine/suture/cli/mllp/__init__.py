"""`suture send` and `suture listen`: an MLLP client and a test receiver."""
